"""The property tests again, with many more examples: ``make fuzz``.

Takes trial's arguments. A test that sets its own number of examples keeps it.
"""

from hypothesis import HealthCheck, settings
from twisted.scripts.trial import run

MAX_EXAMPLES = 20_000


def main() -> None:
    """Run trial under a profile of its own."""
    settings.register_profile(
        "fuzz",
        max_examples=MAX_EXAMPLES,
        derandomize=False,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("fuzz")
    run()


if __name__ == "__main__":
    main()
