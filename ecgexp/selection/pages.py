"""What `ecgexp ui` shows: our view in MLflow's pages, and their addresses."""

from __future__ import annotations

from ecgexp.config.compose import Job
from ecgexp.pipeline import open_store
from ecgexp.selection.choose import column_names, select
from ecgexp.selection.links import compare_url, view_urls
from ecgexp.selection.view import view_tags

# MLflow's comparison is a column per run.
_MOST_COMPARED = 8


def prepare_pages(job: Job) -> dict[str, str]:
    """Put our view into the store and return what there is to see, name to address.

    Args:
        job: Composed from `conf/select.yaml`.

    Raises:
        ConfigError: A column cannot be used.
        TrackingError: The store cannot be used.
    """
    config = job.config
    front = [row.run.run_id for row in select(job, "") if row.pareto]
    tags = view_tags([*column_names(config)], str(config["device"]))
    number = open_store(config).tag_experiment(tags)
    pages = view_urls(config, number)
    if len(front) > 1:
        pages["compare"] = compare_url(config, number, front[:_MOST_COMPARED])
    return pages
