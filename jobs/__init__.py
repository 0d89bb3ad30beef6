"""One file per scheduled job: file name = function name = log event prefix."""
