// Starts Swagger UI. A file of its own, because the page's policy runs no script that stands in the page.
"use strict";
window.SwaggerUIBundle({
  url: "schema",
  dom_id: "#api-docs",
  deepLinking: true,
  validatorUrl: null, // it would send the schema to a host outside
});
