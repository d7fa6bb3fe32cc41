"""Published definitions of sarcopenia over the measures of a chart."""
