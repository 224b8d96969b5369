//! Cuts what arrives on a stream into whole messages, and gives each its descriptors.
//!
//! A message says in its header how long it is and how many descriptors belong to it; these arrive with its first
//! byte and are handed out in arrival order. Three things can keep a message back, and they are told apart: it is
//! not all there yet (`Ok(None)`: wait), a descriptor is missing or left over, or its length cannot be. The last
//! two are for ever: the stream cannot be read on.
//!
//! Descriptors that come with one call of recvmsg were sent with one of sendmsg, and so belong to one message. More
//! than that can have are closed where they arrive, so that no peer makes this process hold many.
//!
//! One exception: the first message may come without its descriptors. Something on the way carries bytes only, and
//! the handshake is there to find that out.

use std::collections::VecDeque;

use zerocopy::FromBytes;

use crate::error::{Coded, ErrorCode};
use crate::request::MAX_CARRIED;
use crate::wire::Header;

/// Bytes of the header that begins every message.
pub const HEADER_LENGTH: usize = size_of::<Header>();

/// The longest message in bytes, header included: the most that a message carries, and room for all fixed parts.
pub const MAX_LENGTH: usize = MAX_CARRIED + 4096;

/// The most descriptors that a header may state.
pub const MAX_DESCRIPTORS: u8 = 4;

/// What a buffer begins with, and returns to when it is empty and has grown beyond [`KEPT_BUFFER`].
const SMALL_BUFFER: usize = 4096;

/// What a buffer keeps when it is empty: who sends batches sends more of them.
const KEPT_BUFFER: usize = 32 * 1024;

/// Bytes of the header that say how long the message is and how many descriptors it has.
const PREFIX: usize = 8;

/// A stream that cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A length below the header's own or above [`MAX_LENGTH`].
    #[error("a message states {length} bytes: it takes {HEADER_LENGTH} to {MAX_LENGTH}")]
    Length {
        /// The length as received.
        length: u32,
    },
    /// A header that states more descriptors than a message can have.
    #[error("a message states {stated} descriptors: at most {MAX_DESCRIPTORS}")]
    TooMany {
        /// How many the header states.
        stated: u8,
    },
    /// More descriptors arrived with one sendmsg than a message can have.
    #[error("{came} descriptors came at once: at most {MAX_DESCRIPTORS}, those of one message")]
    TooManyAtOnce {
        /// How many came.
        came: usize,
    },
    /// Fewer descriptors arrived than the header states.
    #[error("a message states {stated} descriptors and {arrived} came: send them with its first byte")]
    Missing {
        /// How many the header states.
        stated: u8,
        /// How many arrived.
        arrived: usize,
    },
    /// More descriptors arrived than the headers state.
    #[error("{left} descriptors came that no message states: send each with the first byte of its message")]
    LeftOver {
        /// How many are left over.
        left: usize,
    },
}

impl Coded for FramingError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Length { .. } => ErrorCode::Malformed,
            Self::TooMany { .. }
            | Self::TooManyAtOnce { .. }
            | Self::Missing { .. }
            | Self::LeftOver { .. } => ErrorCode::DescriptorCount,
        }
    }
}

/// A whole message.
#[derive(Debug)]
pub struct Message<'a, D> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub body: &'a [u8],
    /// Its descriptors, in the order in which they were sent.
    pub descriptors: Vec<D>,
}

/// The receiving half of a stream, over any type of descriptor.
#[derive(Debug)]
pub struct Framing<D> {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    descriptors: VecDeque<D>,
    /// How many descriptors came at once, where they were too many. Nothing that came later is looked at.
    flood: Option<usize>,
    first: bool,
}

impl<D> Default for Framing<D> {
    fn default() -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, descriptors: VecDeque::new(), flood: None, first: true }
    }
}

impl<D> Framing<D> {
    /// Where the next bytes go: never empty, and large enough for the message that has begun.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buffer.is_empty() || self.buffer.len() > KEPT_BUFFER {
                self.buffer = vec![0; SMALL_BUFFER];
            }
        } else {
            let wanted = self.begun_length().unwrap_or(SMALL_BUFFER).max(SMALL_BUFFER);
            if self.start > 0 && self.buffer.len() - self.start < wanted {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        if self.end == self.buffer.len() {
            // Only where whole messages were left unread: make room rather than offer none.
            self.buffer.resize(self.end + SMALL_BUFFER, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes note of `count` bytes written into [`space`](Self::space) and of the descriptors that came with them:
    /// what one call of recvmsg gave.
    pub fn arrived(&mut self, count: usize, descriptors: impl IntoIterator<Item = D>) {
        if self.flood.is_some() {
            return;
        }
        self.end = (self.end + count).min(self.buffer.len());
        let before = self.descriptors.len();
        let mut descriptors = descriptors.into_iter();
        self.descriptors.extend(descriptors.by_ref().take(MAX_DESCRIPTORS.into()));
        // They are closed here, each before the next is looked at.
        let surplus = descriptors.map(drop).count();
        if surplus > 0 {
            self.descriptors.truncate(before);
            self.flood = Some(usize::from(MAX_DESCRIPTORS) + surplus);
        }
    }

    /// Whether a message has begun that is not there yet.
    pub fn is_in_message(&self) -> bool {
        self.start < self.end
    }

    /// The next whole message; `None` where it is not all there yet.
    ///
    /// # Errors
    /// The stream cannot be read on.
    pub fn next_message(&mut self) -> Result<Option<Message<'_, D>>, FramingError> {
        let available = self.end - self.start;
        if let Some(came) = self.flood
            && !self.is_before_flood()
        {
            return Err(FramingError::TooManyAtOnce { came });
        }
        if available == 0 {
            return match self.descriptors.len() {
                0 => Ok(None),
                left => Err(FramingError::LeftOver { left }),
            };
        }
        let Some((length, stated)) = self.prefix()? else {
            // One message has begun and no other: it cannot state more, so no more need be held for it.
            return match self.descriptors.len().saturating_sub(usize::from(MAX_DESCRIPTORS)) {
                0 => Ok(None),
                left => Err(FramingError::LeftOver { left }),
            };
        };
        let arrived = self.descriptors.len();
        let stripped = self.first && arrived == 0;
        if arrived < usize::from(stated) && !stripped {
            return Err(FramingError::Missing { stated, arrived });
        }
        if available <= length && arrived > usize::from(stated) {
            return Err(FramingError::LeftOver { left: arrived - usize::from(stated) });
        }
        if available < length {
            return Ok(None);
        }
        self.first = false;
        let message = &self.buffer[self.start..self.start + length];
        self.start += length;
        let descriptors = self.descriptors.drain(..arrived.min(usize::from(stated))).collect();
        let Ok((header, body)) = Header::read_from_prefix(message) else { return Ok(None) };
        Ok(Some(Message { header, body, descriptors }))
    }

    /// Whether the message that has begun had all its descriptors before too many came. These belong to the last
    /// message that has begun, or to none.
    fn is_before_flood(&self) -> bool {
        self.prefix().is_ok_and(|prefix| {
            prefix.is_some_and(|(length, stated)| {
                length < self.end - self.start && usize::from(stated) <= self.descriptors.len()
            })
        })
    }

    fn begun_length(&self) -> Option<usize> {
        self.prefix().ok().flatten().map(|(length, _)| length)
    }

    /// The length and the count of descriptors of the message that has begun; `None` where they are not there yet.
    fn prefix(&self) -> Result<Option<(usize, u8)>, FramingError> {
        let Some(&[a, b, c, d, _, _, stated, _]) = self.buffer[self.start..self.end].first_chunk::<PREFIX>()
        else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]);
        match usize::try_from(length) {
            Ok(bytes) if (HEADER_LENGTH..=MAX_LENGTH).contains(&bytes) => {
                if stated > MAX_DESCRIPTORS {
                    return Err(FramingError::TooMany { stated });
                }
                Ok(Some((bytes, stated)))
            }
            _ => Err(FramingError::Length { length }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use zerocopy::IntoBytes;

    use super::*;

    fn message(serial: u64, descriptors: u8, body: usize) -> Vec<u8> {
        let header = Header {
            length: ((HEADER_LENGTH + body) as u32).into(),
            kind: 7.into(),
            descriptors,
            priority: 0,
            serial: serial.into(),
        };
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend((0..body).map(|index| index as u8));
        bytes
    }

    fn feed(framing: &mut Framing<u32>, mut bytes: &[u8], descriptors: &[u32]) {
        let mut descriptors = descriptors.to_vec();
        while !bytes.is_empty() {
            let space = framing.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            framing.arrived(count, descriptors.drain(..));
            bytes = &bytes[count..];
        }
    }

    fn drain(framing: &mut Framing<u32>) -> Vec<(u64, usize, Vec<u32>)> {
        let mut all = Vec::new();
        while let Some(message) = framing.next_message().unwrap() {
            assert!(message.body.iter().enumerate().all(|(index, &byte)| byte == index as u8));
            all.push((message.header.serial.get(), message.body.len(), message.descriptors));
        }
        all
    }

    #[test]
    fn every_split_point_gives_the_same_messages() {
        let parts =
            [(message(1, 1, 5), vec![10]), (message(2, 0, 0), vec![]), (message(3, 2, 300), vec![30, 31])];
        let whole: Vec<u8> = parts.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        for split in 0..=whole.len() {
            let mut framing = Framing::default();
            let mut all = Vec::new();
            let mut at = 0;
            for (bytes, descriptors) in &parts {
                let cut = split.saturating_sub(at).min(bytes.len());
                if cut > 0 {
                    feed(&mut framing, &bytes[..cut], descriptors);
                    all.extend(drain(&mut framing));
                }
                feed(&mut framing, &bytes[cut..], if cut == 0 { descriptors } else { &[] });
                all.extend(drain(&mut framing));
                at += bytes.len();
            }
            assert_eq!(all, [(1, 5, vec![10]), (2, 0, vec![]), (3, 300, vec![30, 31])], "split at {split}");
        }
    }

    #[test]
    fn messages_read_together_keep_their_descriptors() {
        let mut framing = Framing::default();
        feed(&mut framing, &[message(1, 1, 1), message(2, 2, 0)].concat(), &[1, 2, 3]);
        assert_eq!(drain(&mut framing), [(1, 1, vec![1]), (2, 0, vec![2, 3])]);
    }

    #[test]
    fn the_longest_message_passes_and_the_buffer_shrinks_again() {
        let mut framing = Framing::default();
        let longest = MAX_LENGTH - HEADER_LENGTH;
        feed(&mut framing, &message(1, 0, longest), &[]);
        assert_eq!(drain(&mut framing), [(1, longest, vec![])]);
        assert_eq!(framing.space().len(), SMALL_BUFFER);
    }

    #[test]
    fn lengths_that_cannot_be_are_malformed() {
        for length in [0, HEADER_LENGTH as u32 - 1, MAX_LENGTH as u32 + 1, u32::MAX] {
            let mut framing = Framing::<u32>::default();
            let mut bytes = message(1, 0, 0);
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            feed(&mut framing, &bytes[..8], &[]);
            assert_eq!(framing.next_message().unwrap_err(), FramingError::Length { length });
        }
    }

    #[test]
    fn a_descriptor_too_few_is_told_from_the_first_bytes() {
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 0, 0), &[]);
        drain(&mut framing);
        feed(&mut framing, &message(2, 1, 100)[..8], &[]);
        assert_eq!(framing.next_message().unwrap_err(), FramingError::Missing { stated: 1, arrived: 0 });
    }

    #[test]
    fn a_descriptor_too_many_is_told_as_soon_as_it_is_known() {
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 1, 100)[..8], &[1, 2]);
        assert_eq!(framing.next_message().unwrap_err(), FramingError::LeftOver { left: 1 });
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 0, 0), &[]);
        drain(&mut framing);
        framing.arrived(0, [9]);
        assert_eq!(framing.next_message().unwrap_err(), FramingError::LeftOver { left: 1 });
    }

    #[test]
    fn descriptors_do_not_pile_up_before_a_header() {
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 4, 0)[..1], &[1, 2, 3, 4]);
        assert!(framing.next_message().unwrap().is_none());
        feed(&mut framing, &message(1, 4, 0)[1..2], &[5]);
        assert_eq!(framing.next_message().unwrap_err(), FramingError::LeftOver { left: 1 });
    }

    #[test]
    fn a_header_states_at_most_four_descriptors() {
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 9, 0), &[]);
        let error = framing.next_message().unwrap_err();
        assert_eq!(error, FramingError::TooMany { stated: 9 });
        assert_eq!(error.to_string(), "a message states 9 descriptors: at most 4");
        assert_eq!(error.code(), ErrorCode::DescriptorCount);
    }

    /// A descriptor that can be counted.
    fn counted(count: usize, all: &Rc<()>) -> impl Iterator<Item = Rc<()>> {
        std::iter::repeat_n(all, count).cloned()
    }

    #[test]
    fn too_many_descriptors_at_once_are_dropped_and_end_the_stream() {
        for stated in [0, 1, 4, 9] {
            let all = Rc::new(());
            let mut framing = Framing::default();
            let bytes = message(1, stated, 4);
            framing.space()[..bytes.len()].copy_from_slice(&bytes);
            let mut most = 0;
            let descriptors = counted(253, &all).inspect(|_| most = most.max(Rc::strong_count(&all)));
            framing.arrived(bytes.len(), descriptors);
            // Those held, the one at hand, and `all` itself.
            assert!(most <= 4 + 3, "{most} were held at once");
            assert_eq!(Rc::strong_count(&all), 1, "none is left");
            for _ in 0..3 {
                let error = framing.next_message().unwrap_err();
                assert_eq!(error, FramingError::TooManyAtOnce { came: 253 }, "{stated} stated");
                assert_eq!(error.code(), ErrorCode::DescriptorCount);
                let later = message(2, 0, 0);
                framing.space()[..later.len()].copy_from_slice(&later);
                framing.arrived(later.len(), counted(4, &all));
                assert_eq!(Rc::strong_count(&all), 1, "none is taken after it");
            }
        }
    }

    #[test]
    fn what_came_before_too_many_descriptors_is_handed_out() {
        let mut framing = Framing::default();
        let (one, two) = (message(1, 1, 40), message(2, 0, 8));
        feed(&mut framing, &one[..20], &[7]);
        feed(&mut framing, &[&one[20..], &two, &message(3, 1, 4)].concat(), &[0, 1, 2, 3, 4]);
        let message = framing.next_message().unwrap().unwrap();
        assert_eq!((message.header.serial.get(), message.descriptors), (1, vec![7]));
        assert_eq!(framing.next_message().unwrap().unwrap().header.serial.get(), 2);
        for _ in 0..2 {
            assert_eq!(framing.next_message().unwrap_err(), FramingError::TooManyAtOnce { came: 5 });
        }
    }

    #[test]
    fn only_the_first_message_may_lose_its_descriptors() {
        let mut framing = Framing::default();
        feed(&mut framing, &message(1, 1, 4), &[]);
        assert_eq!(drain(&mut framing), [(1, 4, vec![])]);
        feed(&mut framing, &message(2, 1, 4), &[]);
        assert!(framing.next_message().is_err());
    }
}
