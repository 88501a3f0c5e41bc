//! Contract test suite for the stores (`src/store/mod.rs`), run against every backend.
//!
//! A case is an async function that takes a fresh, empty [`Backend`]. To add a backend, write a
//! constructor in `backends.rs` and a line at the end of this file.

mod backends;
mod clients;
mod generated;
mod imports;
mod races;
mod rate_limit_records;
pub(crate) mod samples;
mod sessions;
mod users;

pub(crate) use backends::{
    Backend, embedded, embedded_with_redis, mongodb, mongodb_standalone, mongodb_with_redis,
};

/// Generates a test of each case for one backend.
macro_rules! hold {
    ($backend:ident) => {
        mod $backend {
            hold! { $backend:
                users {
                    inserted_user_is_read_back_unchanged,
                    user_is_found_by_any_spelling_of_the_name,
                    several_spellings_of_a_name_are_found_exactly,
                    disallowed_names_are_compared_byte_by_byte,
                    username_is_unique,
                    insert_many_skips_users_with_taken_names_or_ids,
                    users_are_listed_by_name_page_by_page,
                    users_are_searched_by_name_prefix,
                    users_are_counted_up_to_a_limit,
                    users_are_found_by_parts_of_names_in_any_case,
                    update_replaces_only_the_preceding_version,
                    update_to_taken_name_changes_nothing,
                    rename_is_propagated_to_sessions_of_that_user_only,
                    login_during_rename_does_not_restore_old_name,
                    new_generation_ends_sessions_of_that_user_only,
                    update_without_new_generation_ends_no_session,
                    password_upgrade_replaces_only_the_expected_hash,
                    hashes_without_given_prefixes_are_found,
                    deleting_a_user_deletes_its_sessions,
                    user_is_deleted_only_at_the_given_version,
                    put_user_overwrites_any_version_and_ends_no_session,
                    put_user_with_taken_name_is_rejected,
                }
                clients {
                    inserted_client_is_read_back_unchanged,
                    many_clients_are_found_by_id,
                    client_id_is_unique_and_case_sensitive,
                    clients_are_listed_by_id_page_by_page,
                    clients_are_found_by_parts_of_ids_and_names,
                    clients_are_counted_up_to_a_limit,
                    update_replaces_only_the_preceding_version,
                    new_generation_ends_sessions_of_that_client_only,
                    deleting_a_client_deletes_its_sessions,
                    client_is_deleted_only_at_the_given_version,
                    put_client_overwrites_any_version_and_ends_no_session,
                    secret_upgrade_replaces_only_the_expected_secret,
                }
                sessions {
                    session_starts_only_if_user_and_client_are_unchanged,
                    session_without_user_is_accepted,
                    replace_requires_the_preceding_version,
                    ended_session_stays_ended,
                    only_the_current_version_is_confirmed_durable,
                    lookup_reports_a_changed_introspection_client,
                    sessions_are_ended_by_user_client_both_or_all,
                    sessions_are_listed_by_id_in_pages_with_filters,
                    alive_at_filter_lists_only_live_sessions,
                    live_sessions_are_counted_up_to_a_limit,
                    purge_deletes_only_expired_sessions,
                    purge_deletes_at_most_its_limit,
                    writes_are_visible_to_other_processes_immediately,
                    put_session_overwrites_any_version_without_checking_user_or_client,
                    rename_is_propagated_to_sessions_stored_by_put,
                }
                imports {
                    import_record_is_kept_until_forgotten,
                    import_records_are_written_and_found_together,
                    probe_writes_and_leaves_no_record,
                    import_records_are_listed_by_key_in_pages,
                    alias_resolves_to_its_session_and_is_listed,
                    imported_sessions_are_tracked_until_the_last_has_ended,
                }
                rate_limit_records {
                    known_devices_are_replaced_as_a_whole,
                    spent_budgets_are_listed_until_they_end,
                    orders_are_listed_and_delete_what_they_clear,
                }
                generated {
                    any_user_is_read_back_unchanged,
                    any_client_is_read_back_unchanged,
                    any_session_is_read_back_unchanged,
                    any_replaced_session_is_read_back_unchanged,
                }
                races {
                    concurrent_replacements_of_one_version_succeed_once,
                    concurrent_updates_of_one_version_succeed_once,
                    concurrent_inserts_of_one_username_succeed_once,
                    no_login_survives_a_new_generation_of_its_user,
                    no_login_survives_the_disabling_of_its_client,
                    no_login_survives_the_deletion_of_its_user,
                    no_login_survives_the_deletion_of_its_client,
                    refresh_during_rename_does_not_restore_old_name,
                    concurrent_replacement_does_not_restore_ended_session,
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
