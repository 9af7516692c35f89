//! The store and what lies in it: the same behaviours in a folder and in buckets of two real S3 servers, one that checks
//! signatures (versitygw) and one that answers as Amazon's does (moto).

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod faults;
mod history;
mod hostile;
mod journal;
mod lease;
mod place;
mod plan;
mod refused;
mod store;

use place::Place;

/// A test of each behaviour in a folder and on versitygw, and one of all behaviours on moto, which takes seconds to start.
macro_rules! behaviours {
    ($($module:ident: $($behaviour:ident)*;)*) => {
        mod folder {
            $($(#[tokio::test] async fn $behaviour() { crate::$module::$behaviour(&crate::Place::folder()).await })*)*
        }
        mod versitygw {
            $($(#[tokio::test] async fn $behaviour() {
                let Some(place) = crate::Place::versitygw(stringify!($behaviour)) else { return };
                crate::$module::$behaviour(&place).await
            })*)*
        }
        #[tokio::test]
        async fn moto() {
            $($({
                let Some(place) = Place::moto() else { return };
                eprintln!("{}", stringify!($behaviour));
                $module::$behaviour(&place).await
            })*)*
        }
    };
}

behaviours! {
    store:
        what_was_written_is_read
        a_write_takes_the_version_that_it_expects
        of_many_writers_one_wins
        keys_are_listed_in_order_and_below_the_prefix_only
        what_was_deleted_may_be_written_again
        two_environments_of_one_bucket_do_not_see_each_other;
    lease:
        of_two_machines_the_second_is_told_who_has_it
        both_orders_of_two_machines_come_to_one_holder
        a_holder_of_another_machine_is_gone_when_its_time_is_up
        a_clock_that_is_wrong_neither_ends_nor_keeps_a_shared_lease
        a_broken_lease_stops_its_holder
        a_lease_is_renewed;
    journal:
        another_machine_resumes
        a_deploy_that_lost_its_lease_cannot_write_into_the_next_ones_journal;
    history:
        records_are_read_in_the_order_of_their_tokens
        a_deploy_that_was_overtaken_cannot_record
        records_of_earlier_toolkits_are_the_older_ones
        a_record_is_found_by_its_id_or_its_version
        a_damaged_record_is_named;
    plan:
        another_machine_fetches_the_plan
        a_plan_that_was_exchanged_is_not_fetched
        of_several_machines_one_takes_the_plan;
}
