//! dmabufs.
