{% include "script.js" %}

{% include "forecast.js" %}
