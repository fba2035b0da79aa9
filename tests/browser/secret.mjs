/** Given to the projects in the environment: it must stand nowhere in their sites. */
export const SECRET = "hunter2-kiln-secret";
