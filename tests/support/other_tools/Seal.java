// Encrypts values as Jasypt and Spring do: `java -cp jasypt.jar:bcprov.jar Seal.java ALGORITHM [RandomIvGenerator]`. Reads from stdin
// the password and then the values, each on a line and in base64. Prints each value as it is written in the file. With `both-ways` instead
// of RandomIvGenerator, prints a value with a random IV that also opens, to other text, as if it had none: about one of 10,000. The
// password is not an argument, because people copy what tests do.
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.*;
import javax.crypto.*;
import javax.crypto.spec.*;

public class Seal {
    public static void main(String[] args) throws Exception {
        Scanner in = new Scanner(System.in);
        String password = text(in.nextLine());
        String algorithm = args[0];
        while (in.hasNextLine()) {
            String value = text(in.nextLine());
            switch (algorithm) {
                case "spring" -> System.out.println("{cipher}" + spring(password, value, args.length > 1 ? args[1] : "deadbeef"));
                case "gcm" -> System.out.println("ENC(" + gcm(Base64.getDecoder().decode(password), value) + ")");
                case "gcm-password" -> System.out.println("ENC(" + gcm(derived("PBKDF2WithHmacSHA256", password, Base64.getDecoder().decode(args[1]), 1000), value) + ")");
                default -> System.out.println("ENC(" + (args.length > 1 && args[1].equals("both-ways")
                        ? openingBothWays(algorithm, password, value)
                        : jasypt(algorithm, password, value, args.length > 1)) + ")");
            }
        }
    }

    static String text(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    }

    static String jasypt(String algorithm, String password, String value, boolean randomIv) {
        var encryptor = new org.jasypt.encryption.pbe.StandardPBEStringEncryptor();
        encryptor.setPassword(password);
        encryptor.setAlgorithm(algorithm);
        if (isOfBouncyCastle(algorithm)) encryptor.setProvider(new org.bouncycastle.jce.provider.BouncyCastleProvider());
        if (randomIv || algorithm.contains("HMAC")) encryptor.setIvGenerator(new org.jasypt.iv.RandomIvGenerator());
        return encryptor.encrypt(value);
    }

    static String openingBothWays(String algorithm, String password, String value) {
        var without = new org.jasypt.encryption.pbe.StandardPBEStringEncryptor();
        without.setPassword(password);
        without.setAlgorithm(algorithm);
        while (true) {
            String sealed = jasypt(algorithm, password, value, true);
            try {
                String opened = without.decrypt(sealed);
                if (opened.indexOf('\uFFFD') < 0) return sealed;
            } catch (org.jasypt.exceptions.EncryptionOperationNotPossibleException expected) {
                // The padding is wrong, as it nearly always is.
            }
        }
    }

    static boolean isOfBouncyCastle(String algorithm) {
        return algorithm.contains("-BC") || algorithm.contains("-CBC") || algorithm.contains("OPENSSL");
    }

    // Encryptors.text(encrypt.key, encrypt.salt) of Spring Security, with its documented parameters.
    static String spring(String key, String value, String salt) throws Exception {
        byte[] iv = random(16);
        Cipher cipher = Cipher.getInstance("AES/CBC/PKCS5Padding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(derived("PBKDF2WithHmacSHA1", key, HexFormat.of().parseHex(salt), 1024), "AES"), new IvParameterSpec(iv));
        return HexFormat.of().formatHex(iv) + HexFormat.of().formatHex(cipher.doFinal(value.getBytes(StandardCharsets.UTF_8)));
    }

    // jasypt-spring-boot's SimpleGCMByteEncryptor, with its documented parameters.
    static String gcm(byte[] key, String value) throws Exception {
        byte[] iv = random(12);
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, new SecretKeySpec(key, "AES"), new GCMParameterSpec(128, iv));
        byte[] sealed = cipher.doFinal(value.getBytes(StandardCharsets.UTF_8));
        byte[] both = Arrays.copyOf(iv, 12 + sealed.length);
        System.arraycopy(sealed, 0, both, 12, sealed.length);
        return Base64.getEncoder().encodeToString(both);
    }

    static byte[] derived(String algorithm, String password, byte[] salt, int rounds) throws Exception {
        return SecretKeyFactory.getInstance(algorithm).generateSecret(new PBEKeySpec(password.toCharArray(), salt, rounds, 256)).getEncoded();
    }

    static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }
}
