from pathlib import Path

from structlog.testing import capture_logs

from gateway.sip.trunks.installation import STATE, installation_key


def test_a_service_keeps_its_key(tmp_path: Path) -> None:
    environment = {STATE: f"{tmp_path}:/another"}
    key = installation_key(environment)
    assert len(key) == 32
    assert installation_key(environment) == key
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_process_without_a_place_has_one_of_its_own() -> None:
    assert installation_key({}) != installation_key({})


def test_a_damaged_key_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "installation.key").write_bytes(b"")
    key = installation_key({STATE: str(tmp_path)})
    assert len(key) == 32
    assert installation_key({STATE: str(tmp_path)}) == key


def test_a_place_that_cannot_be_used_is_told_and_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with capture_logs() as logs:
        assert len(installation_key({STATE: str(tmp_path / "file")})) == 32
        assert len(installation_key({STATE: str(tmp_path / "gone")})) == 32
    assert [line["event"] for line in logs] == ["installation.key_not_kept"] * 2
