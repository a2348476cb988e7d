from noisegate.ledger.store import DataVersion


def test_versions_count_up_by_registration_not_by_content(house):
    assert house.ledger.current_version("liver") is None
    numbers = [house.ledger.register_version("liver", "[liver]", "same") for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert house.ledger.register_version("panel", "[panel]", "same") == 1
    assert house.ledger.current_version("liver") == 3
    house.reopen()
    assert house.ledger.current_version("liver") == 3
    assert house.ledger.register_version("liver", "[liver]", "other") == 4
    assert house.ledger.find_version("liver", 4) == DataVersion("liver", 4, "[liver]", "other")
    assert house.ledger.find_version("liver", 5) is None


def test_accounts_go_on_across_versions(house):
    house.ledger.register_version("liver", "[liver]", "d1")
    house.answer("f")
    house.ledger.register_version("liver", "[liver]", "d2")
    assert house.ledger.find_account("olmsted/liver").spent == house.cent
    assert house.ledger.verify().whole
