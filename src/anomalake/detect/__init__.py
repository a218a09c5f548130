"""The detector: `model` scores points, `events` groups them into alerts, `run` walks through a metric set's intervals. Pure; numpy only here."""
