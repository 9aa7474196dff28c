"""Who is watching now: the store of live viewers and origin totals, and what it promises."""
