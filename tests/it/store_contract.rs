//! What every store promises (`src/store/mod.rs`): one suite, and every backend is held to it.
//!
//! A case is an async function over a fresh, empty [`Backend`]. A new backend is a constructor in
//! `backends.rs` and one line at the end of this file.

mod backends;
mod clients;
mod generated;
mod imports;
mod races;
pub(crate) mod samples;
mod sessions;
mod users;

pub(crate) use backends::{
    Backend, embedded, embedded_with_redis, mongodb, mongodb_standalone, mongodb_with_redis,
};

/// Makes a test of every case, for one backend.
macro_rules! hold {
    ($backend:ident) => {
        mod $backend {
            hold! { $backend:
                users {
                    a_user_comes_back_as_it_was_put_in,
                    names_are_compared_byte_by_byte,
                    a_name_belongs_to_one_user,
                    many_users_are_added_at_once_but_those_whose_names_or_ids_are_taken,
                    users_are_listed_by_name_page_by_page,
                    users_are_searched_by_what_their_names_begin_with,
                    users_are_counted_up_to_a_limit,
                    an_update_replaces_exactly_the_version_before_it,
                    an_update_to_a_taken_name_changes_nothing,
                    a_new_name_reaches_the_sessions_of_that_user_alone,
                    a_login_in_progress_does_not_bring_an_old_name_back,
                    a_new_generation_ends_the_sessions_of_that_user_alone,
                    an_update_without_a_new_generation_ends_no_session,
                    a_stronger_hash_replaces_only_the_hash_it_was_made_from,
                    hashes_that_begin_otherwise_are_found,
                    a_deleted_user_is_gone_with_all_sessions,
                    only_the_wanted_version_of_a_user_is_deleted,
                    a_user_is_put_over_any_version_and_ends_no_session,
                    a_user_is_not_put_under_the_name_of_another,
                }
                clients {
                    a_client_comes_back_as_it_was_put_in,
                    an_id_belongs_to_one_client_and_its_case_counts,
                    clients_are_listed_by_id_page_by_page,
                    clients_are_searched_by_what_their_ids_and_names_begin_with,
                    clients_are_counted_up_to_a_limit,
                    an_update_replaces_exactly_the_version_before_it,
                    a_new_generation_ends_the_sessions_of_that_client_alone,
                    a_deleted_client_is_gone_with_all_sessions,
                    only_the_wanted_version_of_a_client_is_deleted,
                    a_client_is_put_over_any_version_and_ends_no_session,
                }
                sessions {
                    a_session_starts_while_its_user_and_its_client_are_as_they_were,
                    a_client_may_have_a_session_without_a_user,
                    a_replacement_needs_the_version_before_it,
                    a_session_that_has_ended_stays_so,
                    only_the_current_version_is_sure_to_last,
                    a_look_up_for_a_caller_tells_whether_the_caller_has_changed,
                    sessions_end_by_user_by_client_by_both_and_all,
                    sessions_are_listed_by_id_page_by_page_through_filters,
                    sessions_with_a_live_token_are_listed_alone,
                    sessions_with_a_live_token_are_counted_up_to_a_limit,
                    a_purge_removes_what_is_over_and_nothing_else,
                    a_purge_removes_no_more_than_its_limit,
                    another_process_sees_every_write_at_once,
                    a_session_is_put_over_any_version_whatever_its_user_and_client_are,
                    a_session_that_was_put_gets_the_new_name_of_its_user,
                }
                imports {
                    a_note_stays_until_it_is_taken_back,
                    notes_are_listed_in_order_page_by_page,
                    an_alias_leads_to_its_session_and_is_listed,
                    sessions_of_imported_tokens_are_known_of_until_the_last_is_over,
                }
                generated {
                    any_user_comes_back_as_it_was_put_in,
                    any_client_comes_back_as_it_was_put_in,
                    any_session_comes_back_as_it_was_put_in,
                    any_session_comes_back_as_it_was_replaced,
                }
                races {
                    of_many_replacements_of_one_version_exactly_one_is_written,
                    of_many_updates_of_one_version_exactly_one_is_written,
                    of_many_users_of_one_name_exactly_one_is_added,
                    no_login_survives_a_new_generation_of_its_user,
                    no_login_survives_the_disabling_of_its_client,
                    no_login_survives_the_deletion_of_its_user,
                    no_login_survives_the_deletion_of_its_client,
                    a_refresh_in_progress_does_not_write_an_old_name_back,
                    a_session_that_ended_is_not_written_back_by_a_replacement_in_progress,
                }
            }
        }
    };
    ($backend:ident: $($area:ident { $($(#[$attribute:meta])* $case:ident,)* })*) => {
        $(mod $area {
            $($(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $case() {
                let backend = crate::store_contract::$backend().await;
                crate::store_contract::$area::$case(&backend).await;
            })*
        })*
    };
}

hold!(embedded);
hold!(mongodb);
hold!(mongodb_standalone);
hold!(embedded_with_redis);
hold!(mongodb_with_redis);
