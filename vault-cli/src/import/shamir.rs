//! Shamir's secret sharing in GF(2⁸), in HashiCorp Vault's form (y…, x): a sops file with several
//! key groups shares its data key among them.

use zeroize::Zeroizing;

/// Returns the secret, the value at x = 0; `None` if the shares cannot belong to one secret.
pub(super) fn combine(shares: &[Zeroizing<Vec<u8>>]) -> Option<Zeroizing<Vec<u8>>> {
    let length = shares.first()?.len().checked_sub(1)?;
    let xs: Vec<u8> = shares.iter().map(|share| share.last().copied()).collect::<Option<_>>()?;
    let twice = xs.iter().enumerate().any(|(at, x)| *x == 0 || xs[..at].contains(x));
    if twice || shares.iter().any(|share| share.len() != length + 1) {
        return None;
    }
    let mut secret = Zeroizing::new(vec![0; length]);
    for (share, x) in shares.iter().zip(&xs) {
        // Lagrange's polynomial of this share at 0; in GF(2⁸), subtraction is addition.
        let weight = xs
            .iter()
            .filter(|other| *other != x)
            .fold(1, |weight, other| times(weight, times(*other, inverse(x ^ other))));
        secret.iter_mut().zip(share.iter()).for_each(|(byte, y)| *byte ^= times(weight, *y));
    }
    Some(secret)
}

/// Multiplies modulo x⁸ + x⁴ + x³ + x + 1, without tables or branches that would leak the factors.
fn times(mut one: u8, other: u8) -> u8 {
    let mut product = 0;
    for bit in 0..8 {
        product ^= one & (other >> bit & 1).wrapping_neg();
        one = one << 1 ^ 0x1B & (one >> 7).wrapping_neg();
    }
    product
}

/// Returns the inverse, a²⁵⁴; 254 is 11111110 in binary.
fn inverse(of: u8) -> u8 {
    let power = (0..6).fold(of, |power, _| times(times(power, power), of));
    times(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_that_of_aes() {
        assert_eq!(times(0x57, 0x83), 0xC1); // FIPS 197, section 4.2
        for of in 1..=255 {
            assert_eq!(times(of, inverse(of)), 1, "{of}");
        }
    }

    #[test]
    fn shares_that_are_not_of_one_secret_are_refused() {
        let share = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        // y = 7 + 3x
        let (one, two) = (share(&[7 ^ 3, 1]), share(&[7 ^ times(3, 2), 2]));
        assert_eq!(*combine(&[one.clone(), two.clone()]).unwrap(), [7]);
        for bad in [
            vec![],
            vec![share(&[])],
            vec![one.clone(), one.clone()],
            vec![one, share(&[1, 1, 2])],
            vec![two, share(&[1, 0])],
        ] {
            assert!(combine(&bad).is_none());
        }
    }
}
