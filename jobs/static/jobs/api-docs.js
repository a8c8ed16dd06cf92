// Starts Swagger UI. It is a file of its own because the page's policy allows no inline script.
"use strict";
window.SwaggerUIBundle({
  url: "schema",
  dom_id: "#api-docs",
  deepLinking: true,
  validatorUrl: null, // it would send the schema to another host
});
