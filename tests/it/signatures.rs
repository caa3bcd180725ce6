//! `examples/signatures` in every language whose interpreter is here: all sign the vector of the documentation.

use std::path::Path;
use std::process::Command;

use crate::signing::{KEY_A, PATH, SALT_A, SIGNATURE, hex};

/// Program, arguments before the file, file.
const EXAMPLES: &[(&str, &[&str], &str)] = &[
    ("python3", &[], "sign.py"),
    ("node", &[], "sign.mjs"),
    ("php", &[], "sign.php"),
    ("ruby", &[], "sign.rb"),
    ("go", &["run"], "sign.go"),
    ("bash", &[], "sign.sh"),
];

#[test]
fn examples_in_other_languages_sign_as_we_do() {
    assert_eq!(
        imgforge::sign(&hex(KEY_A), &hex(SALT_A), PATH, 32),
        SIGNATURE
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/signatures");
    let has = |program: &str| Command::new(program).arg("version").output().is_ok();
    for (program, arguments, file) in EXAMPLES {
        let path = folder.join(file);
        assert!(path.exists(), "{file} is missing");
        if !has(program) || (*file == "sign.sh" && !has("openssl")) {
            continue;
        }
        let output = Command::new(program)
            .args(*arguments)
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            text.trim(),
            format!("/{SIGNATURE}{PATH}"),
            "{file}: {errors}"
        );
    }
}
