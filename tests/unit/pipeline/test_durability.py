"""What is answered with success is on the disks of a majority."""

from shared import mongo


def test_a_write_is_acknowledged_by_a_majority_s_journal_and_read_back_only_then() -> None:
    client = mongo.connect("mongodb://127.0.0.1:1")

    assert client.write_concern.document == {"w": "majority", "j": True}
    assert client.read_concern.level == "majority"
    client.close()
