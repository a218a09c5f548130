"""The demo's data: the flights that left New York in 2013 (`flights`), and a generated shop with labeled anomalies."""
