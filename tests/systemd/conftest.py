"""One booted Debian with Offhook installed, for all tests of the service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.peers.kamailio import Kamailio
from tests.systemd.container import Container
from tests.systemd.rootfs import REPOSITORY, rootfs_archive
from tests.systemd.service import NUMBER, PASSWORD, SOURCE, WHEELS, Service, wheels_directory

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def container() -> Iterator[Container]:
    """A Debian that has what Offhook needs, but not yet Offhook."""
    if os.geteuid() != 0:
        pytest.skip("booting a container takes root: sudo make test-systemd")
    if not any(wheels_directory().glob("offhook-*.whl")):
        pytest.fail(f"no wheels in {wheels_directory()}: run 'make wheels'")
    with Container(rootfs_archive(), {REPOSITORY: SOURCE, wheels_directory(): WHEELS}) as booted:
        yield booted


@pytest.fixture(scope="session")
def installed(container: Container) -> Service:
    """The service as `make install` leaves it, not yet started."""
    service = Service(container)
    service.install()
    return service


@pytest.fixture(scope="session")
def trunk(container: Container) -> Iterator[Kamailio]:
    """A registrar and proxy on this host, which the container reaches over its network."""
    with Kamailio({"gateway": PASSWORD}, {NUMBER: "gateway"}, host=container.host_address) as kamailio:
        yield kamailio


@pytest.fixture
def service(installed: Service, trunk: Kamailio) -> Service:
    """The service configured with the trunk, running and registered."""
    installed.configure(trunk.address, PASSWORD)
    if installed.show("ActiveState") != "active":
        installed.systemctl("start")
    trunk.wait_registered("gateway", deadline_s=10)
    return installed
