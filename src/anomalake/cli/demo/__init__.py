"""Data to see Anomalake with: the real flights of 2013 (`flights`), and a generated shop with known anomalies (`shop`)."""
