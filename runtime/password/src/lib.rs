//! The lane of passwords at the edge: sealed captures flow in, set passwords and mails flow out.
