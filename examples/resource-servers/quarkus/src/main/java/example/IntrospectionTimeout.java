package example;

import io.quarkus.arc.Unremovable;
import io.quarkus.oidc.common.OidcEndpoint;
import io.quarkus.oidc.common.OidcRequestFilter;
import jakarta.enterprise.context.ApplicationScoped;

/** Limits the time of an introspection. Quarkus waits without a limit otherwise. */
@ApplicationScoped
@Unremovable
@OidcEndpoint(OidcEndpoint.Type.INTROSPECTION)
public class IntrospectionTimeout implements OidcRequestFilter {
    @Override
    public void filter(OidcRequestContext context) {
        context.request().timeout(2000);
    }
}
