"""Page visits of web sites: who is there now, what was viewed, and sums that answer without looking at visits."""
