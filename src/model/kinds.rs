//! Closed vocabularies of the canonical model. Every one has exactly the spellings of the contract.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The spelling used in columns, configuration and output.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the spelling back; `None` for any other text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

vocabulary! {
    /// The providers that chatloom reads.
    ProviderKind {
        BrilliantDirectories = "brilliant_directories",
        Zaia = "zaia",
        Sitegpt = "sitegpt",
    }
}

vocabulary! {
    /// Who wrote a message.
    AuthorKind {
        /// The visitor or customer.
        Contact = "contact",
        /// A human of the business.
        Agent = "agent",
        /// Software that answers for the business.
        Bot = "bot",
        /// The platform itself (an event, not speech).
        System = "system",
        /// Not known (yet).
        Unknown = "unknown",
    }
}

/// Participants are sorted with the same words as authors.
pub type ParticipantKind = AuthorKind;

vocabulary! {
    /// What a message is.
    MessageKind {
        /// Something somebody said.
        Text = "text",
        /// Something that happened (an escalation, a persona chosen).
        Event = "event",
    }
}

vocabulary! {
    /// Where a conversation is held.
    ChannelKind {
        Widget = "widget",
        Whatsapp = "whatsapp",
        Instagram = "instagram",
        Api = "api",
        LiveChat = "live_chat",
        Other = "other",
    }
}

vocabulary! {
    /// Whether a conversation still goes on, as far as the provider says.
    ConversationStatus {
        Open = "open",
        Closed = "closed",
        Unknown = "unknown",
    }
}
