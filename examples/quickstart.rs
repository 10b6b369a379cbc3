//! The quickstart: a plaintext settings file → sealed file → loader → login → token → answered
//! calls, through an expiry and a revocation. Run it with `cargo run --example quickstart`. It
//! needs no other service.

#![allow(clippy::print_stdout)] // the program prints each step

use bootseal::Loader;
use bootseal_cli::{World, run};
use bootseal_vendor_sim::Vendor;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let step = |text: &str| println!("{:5.2} s  {text}", start.elapsed().as_secs_f32());
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);

    // The vendor's service: HTTPS on loopback, a login that returns a JWT, and calls that need it.
    let vendor = Vendor::start()?;
    vendor.lifetime(LIFE);
    step(&format!(
        "vendor      an HTTPS service on {}, tokens expire after {} s",
        vendor.url(""),
        LIFE.as_secs()
    ));

    // Operations: a plaintext settings file becomes a sealed file, and the application gets its own
    // key.
    std::fs::write(at("app.properties"), settings(&vendor))?;
    let (alice, app_key, sealed) = (at("alice.key"), at("app.key"), at("app.sealed.toml"));
    let home = folder.path().as_os_str().to_owned();
    bootseal(&home, &["keygen", "-o", text(&alice)?])?;
    let said =
        bootseal(&home, &["seal", text(&at("app.properties"))?, "-i", text(&alice)?, "--shred"])?;
    said.lines().filter(|line| line.starts_with("sealed")).for_each(|line| {
        step(&format!("seal        {}", line.replace(text(folder.path()).unwrap_or_default(), "…")))
    });
    bootseal(
        &home,
        &[
            "access",
            "add",
            "app",
            "--new-key",
            text(&app_key)?,
            "-f",
            text(&sealed)?,
            "-i",
            text(&alice)?,
            "--yes",
        ],
    )?;
    step("access add  the application `app` has a key file, which contains the vault's pin");

    // The application: opens the file once, then makes calls.
    let vault = Loader::exactly(&sealed).identity_file(&app_key).load()?;
    step(&format!(
        "load        verified, {} opened; {}",
        vault.profiles().join(", "),
        bootseal::report()?
    ));
    let source = vault.token_source("acme")?;
    let client = source.client();
    let orders = vendor.url("/orders");
    let mut answered = 0;

    for _ in 0..100 {
        answered += u32::from(client.get(&orders).send().await?.status().is_success());
    }
    step(&format!("call        100 calls, {} login", source.counts().logins));

    tokio::time::sleep(LIFE + Duration::from_secs(1)).await;
    for _ in 0..100 {
        answered += u32::from(client.get(&orders).send().await?.status().is_success());
    }
    step(&format!(
        "expiry      the token expired; 100 more calls, {} logins",
        source.counts().logins
    ));

    vendor.lifetime(Duration::from_secs(60));
    vendor.revoke_all();
    for _ in 0..100 {
        answered += u32::from(client.get(&orders).send().await?.status().is_success());
    }
    let counts = source.counts();
    step(&format!(
        "revocation  the vendor revoked the token; 100 more calls, {} replay, {} logins",
        counts.replays, counts.logins
    ));
    println!(
        "\ncalls answered: {answered} of 300   logins: {}   replays: {}",
        counts.logins, counts.replays
    );
    if answered != 300 || vendor.logins() != counts.logins {
        return Err(
            "a call failed, or the vendor and the token source counted different logins".into()
        );
    }
    Ok(())
}

fn settings(vendor: &Vendor) -> String {
    let ca = vendor.ca_pem().trim().replace('\n', "\\n");
    format!(
        "acme.username = quickstart\nacme.password = open sesame\n\
         acme.login.url = {}\nacme.login.json.username = ${{username}}\nacme.login.json.password = ${{password}}\nacme.login.ca = {ca}\n",
        vendor.url("/login")
    )
}

/// Runs the code of the CLI in this process, and returns its output.
fn bootseal(home: &std::ffi::OsStr, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let env = |name: &str| (name == "HOME").then(|| home.to_owned());
    let mut nothing = std::io::empty();
    let code = run(
        ["bootseal"].iter().chain(args),
        &mut World { env: &env, ..World::new(&mut nothing, &mut out, &mut err) },
    );
    if code != 0 {
        return Err(format!(
            "bootseal {} ended with {code}: {}",
            args.join(" "),
            String::from_utf8_lossy(&err)
        )
        .into());
    }
    Ok(String::from_utf8(out)?)
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    path.to_str().ok_or_else(|| "the temporary folder's name is not UTF-8".into())
}
