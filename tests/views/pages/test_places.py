"""Where visitors are drawn."""

from __future__ import annotations

from views.geo.places import City
from views.pages.places import Location, Spot, locations, spot_of

PARIS = Spot("FR", "Paris", 48.9, 2.4)


def test_a_city_is_drawn_in_its_own_middle_or_not_at_all() -> None:
    assert spot_of("FR", City("Paris", "FR", 48.86, 2.35)) == PARIS
    assert spot_of("FR", City("Paris", "FR")) == Spot("FR")
    assert spot_of("FR", City("Paris", "US", 33.7, -95.6)) == Spot("FR")
    assert spot_of(None, City("Paris", "FR", 48.86, 2.35)) is None


def test_few_visitors_of_a_city_and_those_of_one_without_a_middle_count_with_the_country() -> None:
    spots = {PARIS: 3, Spot("FR", "Lyon", 45.8, 4.8): 2, Spot("FR", "Nice"): 5, Spot("DE", "Bonn", 50.7, 7.1): 2}
    assert locations(spots, 3) == [
        Location(46.6, 2.5, "FR", 7),
        Location(48.9, 2.4, "FR", 3, "Paris"),
    ]
