//! Bad input: each is answered by its own error, and the daemon, all other clients and what it holds are as before.
//!
//! `tests/hostile` has the clients; here each of them plays alone. `leaks.rs` plays them all in one process and counts.

mod fixture;
mod hostile;

macro_rules! scenarios {
    ($($room:ident: $($name:ident)*;)*) => {
        $($(
            #[test]
            fn $name() {
                hostile::play(hostile::$room::SCENARIOS, stringify!($name));
            }
        )*)*

        #[test]
        fn every_scenario_is_played() {
            let played = [$($(stringify!($name),)*)*];
            assert!(hostile::all().map(|scenario| scenario.name).eq(played));
        }
    };
}

scenarios! {
    streams:
        lengths_that_cannot_be
        bodies_of_the_wrong_size
        descriptors_too_many
        descriptors_too_few
        handshakes
        kinds_that_there_are_not
        killed_in_mid_message
        byte_by_byte
        half_a_message_and_silence
        half_closed
        faults_wait_for_their_turn;
    random:
        garbage
        mutations;
    requests:
        images
        draws
        captures
        layers
        ids_that_there_are_not
        held_memory
        values_that_fields_do_not_take
        priorities
        not_permitted;
    batches:
        batches
        stripes;
    claims:
        tokens_guessed
        left_behind;
    memory:
        memory_that_is_refused
        memory_that_is_refused_even_unsealed
        what_is_no_dmabuf
        no_dmabufs_allowed
        pages_punched_out
        truncated_before_a_draw
        truncated_in_a_draw
        truncated_in_a_batch
        truncated_in_a_capture
        truncated_while_another_draws;
    conduct:
        too_many_connections
        too_many_regions
        too_many_layers
        too_many_bytes
        too_many_requests
        waits_and_floods
        never_reads
        never_reads_and_breaks_the_protocol
        never_reads_and_dies
        dies_under_way
        dies_with_everything;
}
