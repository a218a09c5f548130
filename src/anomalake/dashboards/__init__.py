"""Dashboards of metric sets.

`definition` builds the definition of a QuickSight analysis. `quicksight` builds the CloudFormation templates that
deploy it. `preview` draws any definition as an HTML page, and `lake_page` draws the page of a lake in a folder.
"""
