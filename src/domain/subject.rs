//! What failed attempts are counted of.

use super::Digest;

/// What a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// Where attempts come from.
    Address,
    /// The same, for attempts that were refused. They cost an attacker nothing, so they must not take the
    /// place of failures.
    RefusedAddress,
    /// Whom they are made on.
    Name,
    /// The wider network from which they are made on somebody.
    Network,
    /// Somebody who has got in from somewhere before.
    Acquaintance,
}

impl SubjectKind {
    /// Its name in shared counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::RefusedAddress => "refused",
            Self::Name => "name",
            Self::Network => "network",
            Self::Acquaintance => "acquaintance",
        }
    }
}

/// An address, a user name, or both, as a digest: a name that nobody has may be a password that was
/// typed into the wrong field, and is not to be kept anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    kind: SubjectKind,
    digest: [u8; 16],
}

impl Subject {
    /// The subject that these parts name together.
    pub fn of(kind: SubjectKind, parts: &[&[u8]]) -> Self {
        let digests: Vec<u8> = parts.iter().flat_map(|part| *Digest::of(part).as_bytes()).collect();
        let mut digest = [0; 16];
        let whole = Digest::of(&digests);
        digest.iter_mut().zip(whole.as_bytes()).for_each(|(to, from)| *to = *from);
        Self { kind, digest }
    }

    /// What it is.
    pub const fn kind(&self) -> SubjectKind {
        self.kind
    }

    /// 128 bits that name it.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.digest
    }
}
