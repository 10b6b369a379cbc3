//! Cookies from any vendor: no name occurs twice, no value is empty, and what is sent back is read
//! again as exactly one cookie with the same name and value.
#![no_main]

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: Vec<Vec<u8>>| {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    let headers: HeaderMap = values.map(|value| (SET_COOKIE, value)).collect();
    let cookies = bootseal::fuzzed_cookies(&headers, 1_767_225_600.0);
    for (index, (name, value, goes_back)) in cookies.iter().enumerate() {
        assert!(!value.is_empty() && cookies[..index].iter().all(|(other, ..)| other != name));
        assert!(name.bytes().all(|byte| byte.is_ascii_graphic() && !b"=;,\"".contains(&byte)));
        let line = value.expose(|value| [name.as_bytes(), b"=", value].concat());
        assert!(!line.contains(&b';'));
        if !goes_back {
            continue;
        }
        assert!(line.iter().all(|byte| byte.is_ascii_graphic()) && !line.contains(&b','));
        let again = [(SET_COOKIE, HeaderValue::from_bytes(&line).expect("a header"))].into_iter().collect();
        let [(same_name, same_value, true)] = &bootseal::fuzzed_cookies(&again, 0.0)[..] else { panic!("not read again as one cookie") };
        assert!(same_name == name && same_value.same_as(value));
    }
});
