//! Evidence file: a part of what is kept of a process before it ends.

/// A file of evidence: figures and names, never what memory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Its name, such as `status`.
    pub name: String,
    /// What is in it: text, in which anything may stand.
    pub text: Vec<u8>,
}

impl EvidenceFile {
    /// A file of that name.
    pub fn new(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self { name: name.to_owned(), text: text.into() }
    }
}
