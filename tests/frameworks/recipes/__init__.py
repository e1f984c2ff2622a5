"""The programs of the pages on frameworks without an adapter, each in an environment that has its framework."""

import os

os.environ.update(
    AGNO_TELEMETRY="false",
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_DISABLE_VERSION_CHECK="true",
    CREWAI_TRACING_ENABLED="false",
    HAYSTACK_TELEMETRY_ENABLED="false",
    LITELLM_LOCAL_MODEL_COST_MAP="True",
)  # before they are imported: without these, some ask the network
