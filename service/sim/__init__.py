"""Many instances on a virtual clock, over a network that loses, delays, reorders and parts them."""
