"""Pure: neutral records, merge, matching, policy, plans. No I/O, no clock, no randomness."""
