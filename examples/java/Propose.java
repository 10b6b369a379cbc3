import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;

/** Writes a proposal with a password from a store that only Java can open. The password never appears on a command line or in a plaintext file. */
public final class Propose {
    private Propose() {}

    /**
     * Proposes {@code password} as the value of {@code property} in {@code vault}. A writer of the vault accepts it with {@code bootseal accept}.
     *
     * @param vault the sealed file; the proposer does not have to be able to open it
     * @param property a TOML dotted key: {@code acme.password}
     * @param password overwritten with zeros before this method returns
     * @param proposal a new file, encrypted to the vault's writers
     * @throws IOException if bootseal cannot be run, or fails; the message is its output
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
                // bootseal ended without reading its input. Its own message is more useful than "broken pipe".
            }
            String output = new String(bootseal.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            if (bootseal.waitFor() != 0) {
                throw new IOException(output.strip());
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
