//! What a store may be asked for.

/// Names each operation once, by what it is about.
macro_rules! operations {
    ($($variant:ident: $of:literal $name:literal,)*) => {
        /// An operation of a store: a method of one of its traits.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)] // their names are those of the methods
        pub enum Operation {
            $($variant,)*
        }

        impl Operation {
            /// How many there are.
            pub const COUNT: usize = Self::NAMES.len();

            /// Of each: what it is about, its name, and both.
            pub(super) const NAMES: [(&'static str, &'static str, &'static str);
                [$($name,)*].len()] = [$(($of, $name, concat!($of, ".", $name)),)*];

            /// For a trace.
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
    ImportsAddAlias: "imports" "add_alias",
    ImportsFindAlias: "imports" "find_alias",
    HealthCheck: "health" "check",
}
