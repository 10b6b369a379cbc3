//! The meaning of unquoted scalars, by the core schema of YAML 1.2, or by YAML 1.1 as Ansible's
//! parser reads it.

use zeroize::Zeroizing;

/// The meaning of an unquoted scalar that is not simply text.
pub(super) enum Plain {
    Null,
    /// A number or a boolean, as TOML writes it.
    Toml(Zeroizing<String>),
    /// The same, but text in YAML 1.1.
    OlderText(Zeroizing<String>),
    /// A number that TOML cannot hold.
    Beyond,
    /// Text, but something else in YAML 1.1.
    OlderYaml(&'static str),
}

impl Plain {
    /// What a scalar with this meaning is, in words.
    fn sort(meaning: Option<&Plain>) -> &'static str {
        match meaning {
            None | Some(Plain::OlderYaml(_)) => "text",
            Some(Plain::Null) => "null",
            Some(Plain::Toml(value)) if matches!(value.as_str(), "true" | "false") => {
                "true or false"
            }
            Some(Plain::Toml(_) | Plain::OlderText(_) | Plain::Beyond) => "a number",
        }
    }
}

/// What an unquoted scalar is in YAML 1.1, and what it is in YAML 1.2, if this differs. `meaning` is
/// that of [`plain_1_1`].
pub(super) fn differs_in_1_2(
    text: &str,
    meaning: Option<&Plain>,
) -> Option<(&'static str, &'static str)> {
    let (older, newer) = (Plain::sort(meaning), Plain::sort(plain(text).as_ref()));
    (older != newer).then_some((older, newer))
}

fn toml(text: &str) -> Option<Plain> {
    Some(Plain::Toml(Zeroizing::new(text.to_owned())))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the sign is `-`, and the text without its sign.
fn without_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    }
}

/// The words that mean the same in both versions.
fn word(text: &str) -> Option<Plain> {
    let (negative, unsigned) = without_sign(text);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Plain::Null),
        "true" | "True" | "TRUE" => toml("true"),
        "false" | "False" | "FALSE" => toml("false"),
        ".nan" | ".NaN" | ".NAN" => toml("nan"),
        _ if matches!(unsigned, ".inf" | ".Inf" | ".INF") => {
            toml(if negative { "-inf" } else { "inf" })
        }
        _ => None,
    }
}

/// Interprets an unquoted scalar by the core schema of YAML 1.2.2, section 10.3.2; `None` for text.
pub(super) fn plain(text: &str) -> Option<Plain> {
    if let Some(word) = word(text) {
        return Some(word);
    }
    let (negative, unsigned) = without_sign(text);
    let sign = if negative { "-" } else { "" };
    if ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Plain::OlderYaml("true or false"));
    }
    // An integer beyond 64 bits does not fit into TOML.
    let integer = |digits: &str, radix: u32| {
        let value = i64::from_str_radix(digits, radix).ok();
        value.map_or(Plain::Beyond, |value| Plain::Toml(Zeroizing::new(value.to_string())))
    };
    if let Some(octal) = text.strip_prefix("0o")
        && !octal.is_empty()
        && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
    {
        return Some(match integer(octal, 8) {
            Plain::Toml(value) => Plain::OlderText(value),
            other => other,
        });
    }
    if let Some(hexadecimal) = text.strip_prefix("0x")
        && !hexadecimal.is_empty()
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Some(integer(hexadecimal, 16));
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let number = is_float(unsigned);
    let leading_zero =
        unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    let loose = unsigned.contains(['_', ':'])
        && unsigned.split(['_', ':', '.']).all(|part| part.is_empty() || all_digits(part))
        || unsigned
            .strip_prefix("0b")
            .is_some_and(|bits| bits.bytes().all(|byte| b"01_".contains(&byte)));
    if leading_zero && number || loose {
        return Some(Plain::OlderYaml("a number"));
    }
    if all_digits(unsigned) {
        return Some(decimal(sign, unsigned));
    }
    number.then(|| float(sign, unsigned)).map(|value| match value {
        Plain::Toml(value) if is_text_in_1_1(unsigned) => Plain::OlderText(value),
        other => other,
    })
}

fn decimal(sign: &str, digits: &str) -> Plain {
    let literal = Zeroizing::new(format!("{sign}{digits}"));
    if literal.parse::<i64>().is_ok() { Plain::Toml(literal) } else { Plain::Beyond }
}

/// A float; its literal is kept if TOML allows it, because 1.10 would otherwise become 1.1.
fn float(sign: &str, unsigned: &str) -> Plain {
    let literal = Zeroizing::new(format!("{sign}{unsigned}"));
    let value = literal.parse::<f64>().ok().filter(|value| value.is_finite());
    let Some(value) = value else { return Plain::Beyond };
    match toml::de::DeValue::parse(&literal).is_ok() {
        true => Plain::Toml(literal),
        false => Plain::Toml(Zeroizing::new(toml::Value::Float(value).to_string())),
    }
}

/// Whether a text is `[0-9]+`, `1.5`, `.5` or `1.`, with or without an exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        }
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole) && digits(fraction) && exponent.is_none_or(all_digits)
}

/// Whether a float of YAML 1.2 is text in YAML 1.1, where an exponent has a sign and follows a
/// number with a point.
fn is_text_in_1_1(unsigned: &str) -> bool {
    let Some((mantissa, exponent)) = unsigned.split_once(['e', 'E']) else { return false };
    !mantissa.contains('.') || !exponent.starts_with(['+', '-'])
}

/// Interprets an unquoted scalar as PyYAML does, which Ansible uses; `None` for text. A date stays
/// text.
pub(super) fn plain_1_1(text: &str) -> Option<Plain> {
    if let Some(word) = word(text) {
        return Some(word);
    }
    let same = |words: [&str; 3]| words.contains(&text);
    if same(["yes", "Yes", "YES"]) || same(["on", "On", "ON"]) {
        return toml("true");
    }
    if same(["no", "No", "NO"]) || same(["off", "Off", "OFF"]) {
        return toml("false");
    }
    let (negative, unsigned) = without_sign(text);
    let sign = if negative { "-" } else { "" };
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let plain = unsigned.replace('_', "");
    let radix = |digits: &str, radix: u32| {
        let value = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
        Some(value.map_or(Plain::Beyond, |value| Plain::Toml(Zeroizing::new(value.to_string()))))
    };
    let of = |digits: &str, radix: u32| {
        !digits.is_empty() && digits.chars().all(|next| next.is_digit(radix))
    };
    if unsigned.starts_with(|first: char| first.is_ascii_digit()) {
        match plain.strip_prefix("0b").or(plain.strip_prefix("0x")) {
            Some(digits) if plain.starts_with("0b") && of(digits, 2) => return radix(digits, 2),
            Some(digits) if plain.starts_with("0x") && of(digits, 16) => return radix(digits, 16),
            _ => {}
        }
        if plain.starts_with('0') && of(&plain, 8) {
            return radix(&plain, 8);
        }
        if all_digits(&plain) && !plain.starts_with('0') {
            return Some(decimal(sign, &plain));
        }
        if plain.contains(':') {
            return sexagesimal(sign, &plain);
        }
    }
    let number = is_float(&plain) && plain.contains('.') && !unsigned.starts_with("._");
    (number && !(plain.contains(['e', 'E']) && is_text_in_1_1(&plain))).then(|| float(sign, &plain))
}

/// Reads `12:30` or `1:30.5` to the base of 60.
fn sexagesimal(sign: &str, text: &str) -> Option<Plain> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':');
    let first = parts.next().filter(|first| all_digits(first))?;
    if fraction.is_none() && first.starts_with('0') {
        return None;
    }
    let mut value: i64 = first.parse().ok()?;
    for part in parts {
        let digit: i64 = part.parse().ok().filter(|digit| *digit < 60)?;
        if !all_digits(part) || part.len() > 2 {
            return None;
        }
        value = value.checked_mul(60)?.checked_add(digit)?;
    }
    match fraction {
        None => Some(decimal(sign, &value.to_string())),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(float(sign, &format!("{value}.{digits}0")))
        }
        Some(_) => None,
    }
}
