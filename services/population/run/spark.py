"""The same run on Apache Spark, for what one machine cannot hold.

Spark deals out the parts of the input, brings the segments of each bucket together and deals out
the buckets; what is done with a part or a bucket is what a worker on one machine does. Input files
and the output folder must be at the same path on every machine.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from services.population.run.parquet import write_rows
from services.population.run.plan import RunPlan
from services.population.run.run import (
    KnowledgeLabels,
    Result,
    RunCounts,
    Watcher,
    finish_run,
    measure_parts,
    open_run,
)
from services.population.run.worker import (
    ASSESS,
    BucketResult,
    ScanResult,
    Worker,
    assess_segments,
    get_result_file,
    get_work_folder,
    summarise_output,
    summarise_scan,
    write_step_result,
)

if TYPE_CHECKING:
    from pyspark import RDD, Broadcast, SparkContext, StatusTracker

POLL_SECONDS = 0.5  # how often the cluster is asked how far it is
SCAN_RESULT = -1  # the key of what a part was found to hold; buckets are 0 and up
_worker: Worker | None = None


def run_on_spark(
    plan: RunPlan, labels: KnowledgeLabels, master: str, watcher: Watcher, *, fresh: bool = False
) -> dict[str, Any]:
    """Run `plan` on the cluster at `master`; returns the contents of run.json.

    Buckets that an earlier run finished are not assessed again. Raises RunError, OSError, and
    what Spark raises where the cluster cannot be reached.
    """
    with open_run(plan, fresh=fresh) as earlier:
        if earlier is not None:
            return earlier
        started, counts = datetime.now(UTC), RunCounts()
        context = _create_context(master)
        try:
            _run_passes(context, plan, counts, watcher)
            processes = context.defaultParallelism
            return finish_run(
                plan, labels, counts, started, f"Spark {context.version}, {processes} cores"
            )
        finally:
            context.stop()


def _create_context(master: str) -> "SparkContext":
    from pyspark import SparkConf, SparkContext  # noqa: PLC0415  # an extra, and large

    # Workers run this Python, with these packages, or none at all.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.python.worker.reuse": "true",
        "spark.log.level": "ERROR",
    }
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    conf = SparkConf().setMaster(master).setAppName("cobalamin backtest")
    return SparkContext(conf=conf.setAll(list(settings.items())))


def _run_passes(
    context: "SparkContext", plan: RunPlan, counts: RunCounts, watcher: Watcher
) -> None:
    from pyspark import StorageLevel  # noqa: PLC0415  # as above

    sizes = measure_parts(plan)
    watcher.begin("reading", sum(sizes), "bytes")
    plan_broadcast = context.broadcast(plan)
    numbers = context.parallelize(range(len(sizes)), len(sizes))
    # Kept on the workers' disks: read once for what the parts say, once more for their segments.
    scanned = numbers.flatMap(lambda number: _scan_part(plan_broadcast, number)).persist(
        StorageLevel.DISK_ONLY
    )
    scan_results = scanned.filter(_is_scan_result).values().map(_parse_result)
    for result in _collect_with_progress(context, scan_results, watcher, sum(sizes)):
        counts.add_scan(result)
    watcher.begin("assessing", counts.resources["Patient"], "patients")
    open_buckets = frozenset(_find_open_buckets(plan, counts, watcher))
    drugs = context.broadcast(counts.drugs)
    results = _assess_buckets(scanned, plan_broadcast, drugs, open_buckets, plan.buckets)
    patients = counts.resources["Patient"] - counts.assessed
    for bucket_result in _collect_with_progress(context, results, watcher, patients):
        counts.add_assessments(bucket_result)
    scanned.unpersist()


def _collect_with_progress(
    context: "SparkContext", rdd: "RDD[Result]", watcher: Watcher, total: int
) -> list[Result]:
    """Collect `rdd`, and report each task's share of `total` while Spark computes."""
    tracker, reported = context.statusTracker(), 0
    with ThreadPoolExecutor(1) as thread:
        collecting = thread.submit(rdd.collect)
        while not collecting.done():
            wait([collecting], timeout=POLL_SECONDS)
            done = max(int(total * _compute_progress(tracker)), reported)
            watcher.advance(done - reported)
            reported = done
        watcher.advance(total - reported)
        collected: list[Result] = collecting.result()
        return collected


def _compute_progress(tracker: "StatusTracker") -> float:
    """The part of the tasks of the running job that are done, from 0 to 1."""
    jobs = (tracker.getJobInfo(job) for job in tracker.getActiveJobsIds())
    stages = [
        tracker.getStageInfo(stage) for job in jobs if job is not None for stage in job.stageIds
    ]
    running = [stage for stage in stages if stage is not None]
    tasks = sum(stage.numTasks for stage in running)
    return sum(stage.numCompletedTasks for stage in running) / tasks if tasks else 0.0


def _find_open_buckets(plan: RunPlan, counts: RunCounts, watcher: Watcher) -> Iterator[int]:
    """Find the buckets that are not assessed yet; counts those that are."""
    for bucket in range(plan.buckets):
        file = get_result_file(get_work_folder(plan.out), ASSESS, bucket)
        if file.exists():
            result = orjson.loads(file.read_bytes())
            counts.add_assessments(result)
            watcher.advance(result["assessed"])
        else:
            yield bucket


def _assess_buckets(
    scanned: "RDD[tuple[int, tuple[int, bytes]]]",
    plan_broadcast: "Broadcast[RunPlan]",
    drugs: "Broadcast[dict[str, Any]]",
    open_buckets: frozenset[int],
    buckets: int,
) -> "RDD[BucketResult]":
    segments = scanned.filter(lambda pair: pair[0] in open_buckets)
    together = segments.groupByKey(buckets, lambda bucket: bucket)
    return together.map(lambda pair: _assess_bucket(plan_broadcast, drugs, *pair))


def _is_scan_result(pair: tuple[int, tuple[int, bytes]]) -> bool:
    return pair[0] == SCAN_RESULT


def _parse_result(pair: tuple[int, bytes]) -> ScanResult:
    result: ScanResult = orjson.loads(pair[1])
    return result


def _scan_part(
    plan_broadcast: "Broadcast[RunPlan]", number: int
) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """Scan one part: yields (bucket, (part, segment)) and the scan result."""
    part_scan = _get_worker(plan_broadcast.value).read_part(number)
    yield SCAN_RESULT, (number, orjson.dumps(summarise_scan(part_scan)))
    for bucket, segment in enumerate(part_scan.pack_segments()):
        if segment:
            yield bucket, (number, segment)


def _assess_bucket(
    plan_broadcast: "Broadcast[RunPlan]",
    drugs: "Broadcast[dict[str, Any]]",
    bucket: int,
    segments: Iterable[tuple[int, bytes]],
) -> BucketResult:
    worker = _get_worker(plan_broadcast.value)
    output = assess_segments(worker.get_assessor(lambda: drugs.value), sorted(segments))
    write_rows(output, worker.plan.out, bucket)
    result = summarise_output(output)
    write_step_result(get_result_file(worker.work, ASSESS, bucket), result)
    return result


def _get_worker(plan: RunPlan) -> Worker:
    """The worker of this process, which Spark uses again for other parts and buckets."""
    global _worker  # noqa: PLW0603  # one for each process, as long as the plan is the same
    if _worker is None or _worker.plan != plan:
        _worker = Worker(plan)
    return _worker
