//! PEM that a variable holds itself, or names the file of. What is neither shows nowhere: it may be a key that lost its
//! first line on its way into the variable.

/// Where a PEM text comes from. No `Debug`: it may be a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// A file.
    File(String),
    /// The variable itself.
    Text(String),
}

/// The longest path that is shown, in bytes.
const LONGEST_PATH: usize = 1_024;
/// Names of files and folders are made of words. Base64 runs on for longer without a dot, a hyphen or the like, and mixes
/// capitals and digits; hexadecimal digits run on for still longer.
const LONGEST_WORD: usize = 15;
const LONGEST_PLAIN_WORD: usize = 31;

impl Pem {
    /// What a variable's text is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.contains("-----BEGIN") { Self::Text(text.to_owned()) } else { Self::File(text.to_owned()) }
    }

    /// The path, where it may be shown.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path.as_str()).filter(|path| is_path(path)),
            Self::Text(_) => None,
        }
    }

    /// How to speak of it without showing what may be a key.
    #[must_use]
    pub fn origin(&self) -> &str {
        match self {
            Self::File(_) => self.shown().unwrap_or("the file that it names"),
            Self::Text(_) => "the text",
        }
    }

    /// What to say of a file that cannot be read.
    #[must_use]
    pub fn unreadable(&self, why: &std::io::Error) -> String {
        match (self, self.shown()) {
            (_, Some(path)) => format!("{path} cannot be read: {why}"),
            // The first bytes of "-----BEGIN", encoded.
            (Self::File(text), None) if text.starts_with("LS0tLS1CRUdJTi") => {
                "it is PEM that was encoded as base64 once more; it must be decoded first".to_owned()
            }
            _ => format!(
                "it is not shown because it may be a key: it has no line -----BEGIN …-----, as PEM text has, and a file \
                 of that name cannot be read either ({why})"
            ),
        }
    }
}

/// Whether a text is certainly the path of a file and nothing secret. In doubt it is not.
fn is_path(text: &str) -> bool {
    let on_drive = behind_drive(text);
    let text = on_drive.unwrap_or(text);
    let begins_as_one =
        on_drive.is_some() || ["/", "./", "../", "~", ".\\", "..\\"].iter().any(|start| text.starts_with(start));
    let is_name = |word: &str| {
        let most = if word.chars().all(char::is_lowercase) { LONGEST_PLAIN_WORD } else { LONGEST_WORD };
        word.len() <= most || !word.is_ascii()
    };
    // Neither base64 nor hexadecimal digits have dots.
    (begins_as_one || text.contains('.'))
        && text.len() <= LONGEST_PATH
        && text.chars().all(|c| c.is_alphanumeric() || "/\\._-~@ ()".contains(c))
        && text.split(|c: char| !c.is_alphanumeric()).all(is_name)
}

/// What follows the drive in a path of Windows, `C:\…` or `C:/…`. No key has a colon.
fn behind_drive(text: &str) -> Option<&str> {
    let (drive, path) = text.split_once(':')?;
    (drive.len() == 1 && drive.is_ascii() && path.starts_with(['\\', '/'])).then_some(path)
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    fn file(text: &str) -> Pem {
        let pem = Pem::of(text);
        assert!(matches!(pem, Pem::File(_)));
        pem
    }

    #[test]
    fn a_path_is_shown() {
        for path in [
            "/ca.pem",
            "ca.pem",
            "./ca",
            "../certs/ca",
            "~/redis/key",
            "/nowhere/key",
            "/run/secrets/redis_tls_key",
            "/etc/ssl/certs/ca-certificates.crt",
            "/Users/me/Library/Application Support/redis (1)/client.key",
            "/var/lib/kubelet/pods/3f2a9c1e-7a51-4a50-9f0e-2b7f6c1d9e11/volumes/tls.key",
            "/home/josé/schlüssel.pem",
            "C:\\certs\\ca.pem",
            "d:/certs/ca",
            "..\\certs\\key",
            ".\\key",
            "certs\\ca.pem",
        ] {
            assert_eq!(file(path).shown(), Some(path));
            assert_eq!(file(path).origin(), path);
            let told = file(path).unreadable(&Error::from(ErrorKind::NotFound));
            assert!(told.starts_with(&format!("{path} cannot be read: ")), "{told}");
        }
    }

    /// Pieces of PEM files, cut as they get cut on their way into a variable, and other secrets.
    #[test]
    fn what_may_be_a_key_is_not_shown() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let ed25519 = "MC4CAQAwBQYDK2VwBCIEIJ2D0qf1bRcN0m3s9b7y0j5n8Qe1o3aK7sQ5cV9u1x2w";
        for text in [
            line.to_owned(),
            ed25519.to_owned(),
            format!("{line}\n{line}\n"),
            format!("{line}\\n{line}\\n"),
            format!("{line} {line}"),
            format!("/{line}"),
            format!("/8Qe1o3/{line}/x"),
            format!("{line}\n-----END PRIVATE KEY-----\n"),
            format!("Proc-Type: 4,ENCRYPTED\n{line}"),
            format!("C:\\{line}"),
            "p4Ssw0rd:hunter2".to_owned(),
            "x:hunter2".to_owned(),
            "p4Ssw0rd".to_owned(),
            "hunter2".to_owned(),
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".to_owned(),
            "/9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".to_owned(),
            "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N".to_owned(),
            "{\"kty\":\"EC\",\"d\":\"jpsQ\"}".to_owned(),
            "x".repeat(2_000) + ".pem",
        ] {
            assert_eq!(file(&text).shown(), None, "{text}");
            assert_eq!(file(&text).origin(), "the file that it names");
            let told = file(&text).unreadable(&Error::from(ErrorKind::NotFound));
            assert!(!told.contains(text.trim_end()) && !told.contains(line), "{told}");
            assert!(told.contains("-----BEGIN"), "{told}");
        }
    }

    #[test]
    fn pem_text_is_not_shown_and_base64_of_it_is_named() {
        assert_eq!(Pem::of("-----BEGIN PRIVATE KEY-----\nMIIE\n").shown(), None);
        assert_eq!(Pem::of("-----BEGIN PRIVATE KEY-----\nMIIE\n").origin(), "the text");
        let told = file("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUU=").unreadable(&Error::from(ErrorKind::NotFound));
        assert!(told.contains("base64 once more") && !told.contains("LS0t"), "{told}");
    }
}
