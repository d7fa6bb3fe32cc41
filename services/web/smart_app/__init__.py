"""The SMART app: one patient's results over years, the assessment with its reasons, a summary for
the chart, a leaflet."""
