import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;

/** Brings a password out of a store that only Java can open into a proposal for a vault, without it touching a command line or a file in clear. */
public final class Propose {
    private Propose() {}

    /**
     * Proposes {@code password} as the value of {@code property} in {@code vault}. Its writers accept it with {@code bootseal accept}.
     *
     * @param vault the sealed file; who proposes need not be able to open it
     * @param property a TOML dotted key: {@code acme.password}
     * @param password zeroed before this returns
     * @param proposal a new file, encrypted to the vault's writers
     * @throws IOException when bootseal is not there or does not take it, with what it says
     */
    public static void propose(Path vault, String property, char[] password, Path proposal)
            throws IOException, InterruptedException {
        ByteBuffer value = StandardCharsets.UTF_8.encode(CharBuffer.wrap(password));
        try {
            Process bootseal = new ProcessBuilder(
                            "bootseal", "propose", property, "-", "--to", vault.toString(), "-o", proposal.toString())
                    .redirectErrorStream(true)
                    .start();
            try (OutputStream stdin = bootseal.getOutputStream()) {
                stdin.write(value.array(), 0, value.limit());
            } catch (IOException closed) {
                // It ended without reading: what it says tells more than a broken pipe.
            }
            String said = new String(bootseal.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (bootseal.waitFor() != 0) {
                throw new IOException(said.strip());
            }
        } finally {
            Arrays.fill(value.array(), (byte) 0);
            Arrays.fill(password, '\0');
        }
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        char[] password = System.console().readPassword("Password: ");
        propose(Path.of(arguments[0]), arguments[1], password, Path.of(arguments[2]));
    }
}
