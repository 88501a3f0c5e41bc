//! Store operations, as metrics and traces name them.

/// Defines the store operations, each with its subject (such as `users`) and its name.
macro_rules! operations {
    ($($variant:ident: $of:literal $name:literal,)*) => {
        /// A store operation: a method of one of the store traits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // the variants are named after stable labels
        pub enum Operation {
            $($variant,)*
        }

        impl Operation {
            /// Number of store operations.
            pub const COUNT: usize = Self::NAMES.len();

            /// Subject, name and full name of each operation: `users`, `find`, `users.find`.
            const NAMES: [(&'static str, &'static str, &'static str);
                [$($name,)*].len()] = [$(($of, $name, concat!($of, ".", $name)),)*];

            /// Returns the operation's values of the metric labels `of` (such as `users`) and
            /// `operation`.
            pub(super) fn labels(self) -> [&'static str; 2] {
                Self::NAMES.get(self as usize).map_or([""; 2], |(of, name, _)| [of, name])
            }

            /// Returns the name of the operation in a trace, such as `users.find`.
            pub fn full_name(self) -> &'static str {
                Self::NAMES.get(self as usize).map_or("", |(.., full)| full)
            }
        }
    };
}

operations! {
    UsersInsert: "users" "insert",
    UsersFind: "users" "find",
    UsersFindByName: "users" "find_by_name",
    UsersList: "users" "list",
    UsersSearch: "users" "search",
    UsersCount: "users" "count",
    UsersUpdate: "users" "update",
    UsersUpgradePassword: "users" "upgrade_password",
    UsersDelete: "users" "delete",
    UsersDeleteVersion: "users" "delete_version",
    ClientsInsert: "clients" "insert",
    ClientsFind: "clients" "find",
    ClientsList: "clients" "list",
    ClientsSearch: "clients" "search",
    ClientsCount: "clients" "count",
    ClientsUpdate: "clients" "update",
    ClientsDelete: "clients" "delete",
    ClientsDeleteVersion: "clients" "delete_version",
    SessionsInsert: "sessions" "insert",
    SessionsFind: "sessions" "find",
    SessionsFindAccess: "sessions" "find_access",
    SessionsFindFor: "sessions" "find_for",
    SessionsReplace: "sessions" "replace",
    SessionsSettle: "sessions" "settle",
    SessionsReplaceLosing: "sessions" "replace_losing",
    SessionsEnd: "sessions" "end",
    SessionsEndAll: "sessions" "end_all",
    SessionsList: "sessions" "list",
    SessionsListSound: "sessions" "list_sound",
    SessionsCount: "sessions" "count",
    SessionsPurge: "sessions" "purge",
    ImportsIsImported: "imports" "is_imported",
    ImportsNoteImported: "imports" "note_imported",
    ImportsAddAlias: "imports" "add_legacy_token",
    ImportsFindAlias: "imports" "find_alias",
    HealthCheck: "health" "check",
}
