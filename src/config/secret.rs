//! A value that is never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::limits::SECRET_BYTES;

use super::raw::read_bounded;
use super::value::quoted;

/// The secret that signs tokens: 32..=1024 bytes. `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    file: Option<PathBuf>,
}

impl Secret {
    /// # Errors
    /// The rule that it breaks, as a sentence without its subject.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        if !SECRET_BYTES.contains(&bytes.len()) {
            let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
            let given = bytes.len();
            return Err(format!("must have {least} to {most} bytes, not {given}"));
        }
        Ok(Self { bytes, file: None })
    }

    /// The content of a file without one trailing newline.
    ///
    /// # Errors
    /// When the file cannot be read, or its content is no secret.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut bytes = read_bounded(path, SECRET_BYTES.end() + 2)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            bytes.pop_if(|last| *last == b'\r');
        }
        let secret = Self::new(bytes).map_err(|rule| {
            format!("names {}, whose content {rule}", quoted(&path.to_string_lossy()))
        })?;
        Ok(Self { file: Some(path.to_owned()), ..secret })
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file that it was read from, if it was.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Secret::read(file.path())
    }

    #[test]
    fn length_is_bounded() {
        assert!(Secret::new(vec![1; 31]).unwrap_err().contains("32 to 1024 bytes, not 31"));
        assert!(Secret::new(vec![1; 32]).is_ok());
        assert!(Secret::new(vec![1; 1024]).is_ok());
        assert!(Secret::new(vec![1; 1025]).is_err());
    }

    #[test]
    fn a_file_loses_one_trailing_newline_and_nothing_else() {
        let key = [b'k'; 32];
        assert_eq!(read(&key).unwrap().as_bytes(), key);
        assert_eq!(read(&[&key[..], b"\n"].concat()).unwrap().as_bytes(), key);
        assert_eq!(read(&[&key[..], b"\r\n"].concat()).unwrap().as_bytes(), key);
        assert_eq!(read(&[&key[..], b"\n\n"].concat()).unwrap().as_bytes().len(), 33);
        assert_eq!(read(&[b" ", &key[..], b" "].concat()).unwrap().as_bytes().len(), 34);
        assert_eq!(read(&[0xff; 32]).unwrap().as_bytes(), [0xff; 32]);
        assert_eq!(read(&[&[b'k'; 1024], &b"\r\n"[..]].concat()).unwrap().as_bytes().len(), 1024);
    }

    #[test]
    fn a_file_is_refused_with_its_name_and_not_its_content() {
        assert!(read(b"hunter2\n").unwrap_err().contains("whose content must have 32 to 1024"));
        assert!(!read(b"hunter2\n").unwrap_err().contains("hunter2"));
        assert!(read(&[b'k'; 4096]).unwrap_err().contains("more than"));
        assert!(Secret::read(Path::new("/nowhere/at/all")).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn debug_hides_it() {
        let secret = Secret::new(b"correct horse battery staple 1234".to_vec()).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }
}
