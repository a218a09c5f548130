"""Dashboards, made from metric sets: the QuickSight definition (`definition`), and a page that draws any such definition (`preview`)."""
