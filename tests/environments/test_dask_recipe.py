"""docs/recipes/dask.md as it stands there: workers that are killed, and all is stored once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sekha.local import LocalSekha
from support.packages import require_packages
from support.recipes import check_all_is_stored_once, settings_for, write_exports, write_recipe
from support.running import environment, running
from support.watched import WatchedServer

if TYPE_CHECKING:
    from support.redis_server import RedisServer

require_packages("environments", "dask", "distributed", "redis")

WRITES = 4


@pytest.mark.slow
@pytest.mark.promise("W14", "W16")
def test_a_killed_worker(sekha_0_1: LocalSekha, redis: RedisServer, tmp_path: Path) -> None:
    write_recipe("recipes/dask.md", tmp_path, {"n_workers=4": "n_workers=2"})
    exports = write_exports(tmp_path / "exports")
    watched = WatchedServer(sekha_0_1.controller_url, hold_after=30, loses=True)
    try:
        variables = environment(**settings_for(sekha_0_1, watched), EXPORTS="exports", REDIS_URL=redis.url)
        with running("python import_all.py", tmp_path, variables) as program:
            watched.wait_for_held(WRITES)
            watched.kill_one_that_writes(program.process.pid)
            watched.release()
            assert program.wait() == 0, program.output
            print(program.output)
        check_all_is_stored_once(sekha_0_1, watched, exports)
        assert watched.most_writes <= WRITES
    finally:
        watched.close()
