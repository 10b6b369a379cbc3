//! `bootseal-gateway --check --login` logs in once with each profile that a route uses.

use crate::support::{Sealed, Usual, VALUES, free_port};
use bootseal_vendor_sim::Vendor;

/// The exit code, stdout and stderr of `--check --login`.
fn check(sealed: &Sealed, args: &[&str]) -> (Option<i32>, String, String) {
    let output = sealed.command().arg("--check").args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_check_with_login_logs_in_once_and_a_check_without_does_not() {
    let vendor = Vendor::start_plain().unwrap();
    let origin = vendor.url("").trim_end_matches('/').to_owned();
    let usual = Usual::new(&origin, "", "");
    let (code, out, err) = check(&usual.sealed, &[]);
    assert_eq!((code, vendor.logins()), (Some(0), 0), "{out}{err}");
    let (code, out, err) = check(&usual.sealed, &["--login"]);
    assert_eq!((code, vendor.logins()), (Some(0), 1), "{out}{err}");
    assert!(out.contains("acme: logged in, status 200; the token is valid for "), "{out}");
    assert!(!vendor.tokens().iter().any(|token| out.contains(token) || err.contains(token)));
    // Two routes of one profile need one login.
    let readable = format!(
        "[acme.login]\nurl = \"{origin}/login\"\nbasic = true\n[acme.route]\nlisten = \"127.0.0.1:{}\"\nupstream = \"{origin}\"\n\
         [other.login]\nurl = \"{origin}/login\"\nbasic = true\n[other.route]\nlisten = \"127.0.0.1:{}\"\nupstream = \"{origin}\"\n",
        free_port(),
        free_port()
    );
    let values = [VALUES[0], VALUES[1], ("other.username", "nobody"), ("other.password", "x")];
    let (code, out, err) = check(&Sealed::new(&values, &readable), &["--login"]);
    assert_eq!(code, Some(5), "{out}{err}");
    assert!(err.contains("answered 401 to the login"), "{err}");
    assert!(out.contains("acme: logged in") && out.contains("other: the login failed"), "{out}");
    assert_eq!(vendor.refused_logins(), 1, "a refused login is not repeated");
}

#[test]
fn a_failed_login_has_the_exit_code_of_its_kind() {
    let vendor = Vendor::start_plain().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), "", "");
    vendor.refuse(true);
    let (code, _, err) = check(&usual.sealed, &["--login"]);
    assert_eq!(code, Some(5), "{err}");
    vendor.refuse(false);
    vendor.down(true);
    let (code, out, err) = check(&usual.sealed, &["--login"]);
    assert_eq!(code, Some(6), "{err}");
    assert!(out.contains("acme: the login failed"), "{out}");
}

#[test]
fn login_needs_check() {
    let usual = Usual::new("http://127.0.0.1:9", "", "");
    let output = usual.sealed.command().arg("--login").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--check"));
}
