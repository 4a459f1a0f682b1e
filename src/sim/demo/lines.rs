//! What made-up people say to each other, in seven languages.
//!
//! A dialog is a list of exchanges: what the contact says, and what is answered. `{n}` stands for a number.

/// What the contact says, and the answer.
pub(super) type Exchange = (&'static str, &'static str);

/// A dialog with what it is about.
pub(super) struct Dialog {
    pub(super) title: &'static str,
    pub(super) exchanges: &'static [Exchange],
}

/// A language with its names and dialogs.
pub(super) struct Tongue {
    pub(super) first_names: &'static [&'static str],
    pub(super) last_names: &'static [&'static str],
    /// Customers of a shop and its software.
    pub(super) shop: &'static [Dialog],
    /// Visitors of a business directory and the member they write to.
    pub(super) directory: &'static [Dialog],
    /// Asking for a human, and the human's first words.
    pub(super) hand_over: Exchange,
    /// Ends that fit anything.
    pub(super) closing: &'static [Exchange],
}

/// Every language, the ones used most first.
pub(super) const TONGUES: &[&Tongue] = &[
    &super::lines_west::ENGLISH,
    &super::lines_west::PORTUGUESE,
    &super::lines_west::SPANISH,
    &super::lines_west::GERMAN,
    &super::lines_east::ARABIC,
    &super::lines_east::HEBREW,
    &super::lines_east::JAPANESE,
];
