//! What the processor can do: which of several versions of a kernel is taken.

/// A set of instructions that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// None in particular: what every kernel is defined by.
    Plain,
    /// SSE4.1 of x86-64.
    Sse41,
    /// AVX2 of x86-64.
    Avx2,
}

impl Level {
    /// Every level, the least first.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Sse41, Self::Avx2];

    /// Whether this processor has it.
    pub fn is_there(self) -> bool {
        match self {
            Self::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Self::Sse41 => std::arch::is_x86_feature_detected!("sse4.1"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Sse41 | Self::Avx2 => false,
        }
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_there()).unwrap_or(Self::Plain)
    }
}
