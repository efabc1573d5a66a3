//! Sections: those that are open where a directive stands.

/// Sections that are conditions.
pub(super) const CONDITIONS: [&str; 6] =
    ["ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection"];

/// A section that is open.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) argument: String,
    /// Whether what is in it counts at all.
    pub(super) counts: bool,
}
